"""What nodes are asked to do once (`runtime.jobs`), each as an operation that people follow."""
