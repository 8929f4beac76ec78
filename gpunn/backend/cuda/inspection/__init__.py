"""What the machine code of every kernel needs of a GPU, and the budget that holds it to that."""
