"""What all answers to requests need, whoever asks: addresses of clients, pages of lists, problems, versions."""
