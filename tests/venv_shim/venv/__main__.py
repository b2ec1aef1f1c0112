import sys

from . import main

try:
    main()
except Exception as error:  # as venv does: a line, and status 1
    sys.exit("Error: {}".format(error))
