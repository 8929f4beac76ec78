"""Finding what is wrong with a data set before training does, and leaving it out."""
