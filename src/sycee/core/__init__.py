"""Foundation of all other packages: errors, ids, money, time, limits, files, threads. Imports none of them."""
