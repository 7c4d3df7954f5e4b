"""The ground floor: errors, array types, argument checks, options."""
