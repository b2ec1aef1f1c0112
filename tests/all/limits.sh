#!/bin/sh
# limits.py, as both users.
suite=limits
. "$(dirname "$0")/both_users"
