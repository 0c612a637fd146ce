"""A small economy with synthetic keys, and its server, for `sycee demo`."""
