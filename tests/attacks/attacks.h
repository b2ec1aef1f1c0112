/// Attacks on a run that need no Python: each asks the kernel for one thing that a run must not get. All of them are
/// harmless: what they open is closed again, what they make is their own, and they stop at the first answer.
#pragma once

#include <string>
#include <vector>

/// `words` are a process, which those on another process are on, and names. Tries each in a child of its own and prints
/// "NAME ANSWER" a line: "OK" when the kernel did it, the name of the errno when it did not, that of the signal when it
/// killed the child. Returns the exit status: 98 for an unknown name.
int try_attacks(const std::vector<std::string>& words);
