"""Bilevel problems whose hypergradient is known in closed form."""
