"""``python -m refgrad``: the command line."""

from __future__ import annotations

import sys

from refgrad.cli import main

sys.exit(main())
