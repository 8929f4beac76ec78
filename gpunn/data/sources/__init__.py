"""Where labelled pictures come from: folders, shards, arrays, and data sets with a name."""
