#include "library.h"

#include <link.h>

#include <algorithm>

namespace emulator {

namespace {

struct Search {
  uintptr_t function;
  Library found;
};

int visit(dl_phdr_info* info, size_t, void* argument) {
  Search& search = *static_cast<Search*>(argument);
  Library library;
  library.base = info->dlpi_addr;
  library.low = UINTPTR_MAX;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)& part = info->dlpi_phdr[i];
    if (part.p_type == PT_LOAD) {
      const uintptr_t start = info->dlpi_addr + part.p_vaddr;
      library.low = std::min(library.low, start);
      library.high = std::max<uintptr_t>(library.high, start + part.p_memsz);
    } else if (part.p_type == PT_TLS && info->dlpi_tls_data) {
      library.shared_variables = static_cast<unsigned char*>(info->dlpi_tls_data);
      library.shared_variables_bytes = part.p_memsz;
    }
  }
  if (!library.contains(search.function)) return 0;
  search.found = library;
  return 1;
}

}  // namespace

Library find_library(const void* function) {
  Search search = {reinterpret_cast<uintptr_t>(function), {}};
  dl_iterate_phdr(visit, &search);
  return search.found;
}

}  // namespace emulator
