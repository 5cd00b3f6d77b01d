"""`python -m golden.make`: the same as golden/make/reference.py."""

import sys

from golden.make.reference import main

sys.exit(main())
