"""Exact numbers as arrays: rationals and certified balls behind the interface of an array library.

Read `field` (what an element can do), `array` (the array class), `table` (the function table), then `rationals` and
`balls`, which are two fields with their arrays; `integers` are NumPy's, kept from wrapping round. People use
`refgrad.exact`.
"""
