"""Published protocols and costs, measured on the same path that the product uses."""
