"""Where tables live: reserved address space, working files for old rows, and worker threads beside the frames."""
