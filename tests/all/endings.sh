#!/bin/sh
# endings.py, as both users.
suite=endings
. "$(dirname "$0")/both_users"
