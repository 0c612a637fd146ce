"""Memory and files of a state's tables: reserved address space, working files for old rows, worker threads."""
