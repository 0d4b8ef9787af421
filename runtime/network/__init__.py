"""What a node's network is made of, as pure functions: addresses of links, rules of the firewall."""
