"""Parameters of behaviour from published results: draws of the prior or of a posterior."""
