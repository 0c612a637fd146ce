"""The calls of each area of the API; `sycee.client.api` has them all."""
