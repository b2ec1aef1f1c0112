#include <string>
#include <vector>

#include "builder/run.h"

int main(int argc, char** argv) {
  return vrun::builder::run(std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc));
}
