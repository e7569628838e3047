"""What the machine has and gives: memory, descriptors, ports, and what a process takes of them."""
