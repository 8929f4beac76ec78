#include "findings.h"

#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace emulator {

std::string format(const char* pattern, ...) {
  char text[512];
  va_list values;
  va_start(values, pattern);
  vsnprintf(text, sizeof text, pattern, values);
  va_end(values);
  return text;
}

Place::Place(Location where) {
  const char* slash = strrchr(where.file, '/');
  text_ = format("%s:%d", slash ? slash + 1 : where.file, where.line);
}

Place::Place(uintptr_t address_in_library) : text_(format("<+0x%zx>", static_cast<size_t>(address_in_library))) {}

void Findings::add(const std::string& kind, const Place& place, const std::string& detail) {
  std::lock_guard<std::mutex> lock(mutex_);
  const std::string key = place.text() + ": " + kind;
  auto [entry, is_new] = findings_.try_emplace(key, Finding{detail});
  if (is_new) order_.push_back(key);
  entry->second.times++;
}

std::string Findings::report() const {
  std::string text;
  for (const std::string& key : order_) {
    const Finding& finding = findings_.at(key);
    text += key + " (" + finding.detail + ")";
    if (finding.times > 1) text += format(", %ld times", finding.times);
    text += "\n";
  }
  return text;
}

}  // namespace emulator
