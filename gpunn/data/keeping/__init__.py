"""What was learnt of many files, kept in the cache for as long as the files stay what they were."""
