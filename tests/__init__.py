"""The tests, in the shape of the package.

What is compiled of them is kept, whatever the environment says: without that, each of the processes
among which they are shared out compiles the program and rewrites all assertions for itself.
"""

import os
import sys

sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # for those that are started
