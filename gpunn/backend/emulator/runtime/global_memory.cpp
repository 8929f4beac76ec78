#include "global_memory.h"

namespace emulator {

namespace {

constexpr uint64_t LARGEST_BLOCK = 1024;
constexpr uint64_t NOBODY = 0;
constexpr uintptr_t NEAR = 1 << 20;  // bytes: an address farther from an array has nothing to do with it

uint64_t writer_number(const Access& access) { return 1 + access.block * LARGEST_BLOCK + access.thread; }
uint64_t block_of(uint64_t writer) { return (writer - 1) / LARGEST_BLOCK; }
uint64_t thread_of(uint64_t writer) { return (writer - 1) % LARGEST_BLOCK; }

}  // namespace

GlobalMemory::GlobalMemory(const Buffer* buffers, uint32_t count, bool check) {
  if (!check) return;
  for (uint32_t i = 0; i < count; ++i) {
    const size_t elements = (buffers[i].bytes + buffers[i].element_bytes - 1) / buffers[i].element_bytes;
    arrays_.push_back({buffers[i], buffers[i].writable ? std::make_unique<Writer[]>(elements) : nullptr, elements});
  }
}

bool GlobalMemory::holds(const Buffer& buffer, uintptr_t address) {
  const uintptr_t offset = address - buffer.address;
  return offset < buffer.bytes && offset % buffer.pitch_bytes < buffer.row_bytes;
}

bool GlobalMemory::holds_all(const Buffer& buffer, uintptr_t address, size_t bytes) {
  if (!holds(buffer, address) || !holds(buffer, address + bytes - 1)) return false;
  const bool has_gaps = buffer.row_bytes != buffer.pitch_bytes;
  const uintptr_t first = address - buffer.address, last = first + bytes - 1;
  return !has_gaps || first / buffer.pitch_bytes == last / buffer.pitch_bytes;
}

bool GlobalMemory::contains(uintptr_t address) const {
  for (const Array& array : arrays_)
    if (holds(array.buffer, address)) return true;
  return false;
}

// An operation in place has two arrays at one address: the one that allows the access counts.
const GlobalMemory::Array* GlobalMemory::array_for(const Access& access) const {
  const Array* best = nullptr;
  for (const Array& array : arrays_) {
    if (!holds(array.buffer, access.address)) continue;
    const bool allows = access.write ? array.buffer.writable != 0 : array.buffer.output == 0;
    if (!best || allows) best = &array;
  }
  return best;
}

int GlobalMemory::buffer_of(const Access& access) const {
  const Array* array = array_for(access);
  return array ? static_cast<int>(array - arrays_.data()) : -1;
}

bool GlobalMemory::check(const Access& access, Findings& findings) {
  const Array* array = array_for(access);
  const Buffer& buffer = array->buffer;
  const size_t offset = access.address - buffer.address;
  if (!holds_all(buffer, access.address, access.bytes)) {
    findings.add(format("%s outside '%s'", access.verb(), buffer.name), access.place(),
                 format("%zu bytes at offset %zu of %zu, block %zu, thread %d", access.bytes, offset,
                        static_cast<size_t>(buffer.bytes), static_cast<size_t>(access.block), access.thread));
    return false;
  }
  if (!access.aligned()) {
    findings.add(format("misaligned %s of '%s'", access.verb(), buffer.name), access.place(),
                 format("%zu bytes at offset %zu", access.bytes, offset));
    return false;
  }
  if (access.write && !buffer.writable) {
    findings.add(format("write to the const argument '%s'", buffer.name), access.place(),
                 format("block %zu, thread %d", static_cast<size_t>(access.block), access.thread));
    return false;
  }
  if (access.write)
    record_write(*array, access, findings);
  else if (array->writers)
    check_read(*array, access, findings);
  return true;
}

void GlobalMemory::record_write(const Array& array, const Access& access, Findings& findings) {
  const size_t first = (access.address - array.buffer.address) / array.buffer.element_bytes;
  const size_t last = (access.address - array.buffer.address + access.bytes - 1) / array.buffer.element_bytes;
  const uint64_t writer = writer_number(access);
  for (size_t i = first; i <= last; ++i) {
    const uint64_t earlier = array.writers[i].exchange(writer, std::memory_order_relaxed);
    if (earlier == NOBODY || access.atomic) continue;
    if (earlier != writer)
      findings.add(format("two threads write the same element of '%s'", array.buffer.name), access.place(),
                   format("element %zu, block %zu thread %zu and block %zu thread %d", i,
                          static_cast<size_t>(block_of(earlier)), static_cast<size_t>(thread_of(earlier)),
                          static_cast<size_t>(access.block), access.thread));
    else if (array.buffer.output)
      findings.add(format("an element of the output '%s' is written twice", array.buffer.name), access.place(),
                   format("element %zu, block %zu, thread %d", i, static_cast<size_t>(access.block), access.thread));
  }
}

void GlobalMemory::check_read(const Array& array, const Access& access, Findings& findings) {
  const size_t i = (access.address - array.buffer.address) / array.buffer.element_bytes;
  const uint64_t writer = array.writers[i].load(std::memory_order_relaxed);
  if (writer == NOBODY && array.buffer.output)
    findings.add(format("read of the output '%s' before it is written", array.buffer.name), access.place(),
                 format("element %zu, block %zu, thread %d", i, static_cast<size_t>(access.block), access.thread));
  else if (writer != NOBODY && block_of(writer) != access.block && !access.atomic)
    findings.add(format("read of an element of '%s' that another block writes", array.buffer.name), access.place(),
                 format("element %zu, blocks %zu and %zu", i, static_cast<size_t>(block_of(writer)),
                        static_cast<size_t>(access.block)));
}

void GlobalMemory::check_outputs(Findings& findings) const {
  for (const Array& array : arrays_) {
    const Buffer& buffer = array.buffer;
    if (!buffer.output) continue;
    size_t missing = 0, first = 0;
    for (size_t i = 0; i < array.elements; ++i) {
      const bool belongs = i * buffer.element_bytes % buffer.pitch_bytes < buffer.row_bytes;
      if (!belongs || array.writers[i].load(std::memory_order_relaxed) != NOBODY) continue;
      if (missing++ == 0) first = i;
    }
    if (missing)
      findings.add(format("%zu elements of the output '%s' were never written", missing, buffer.name),
                   Place(Location{"after the launch", 0}), format("the first is %zu of %zu", first, array.elements));
  }
}

std::string GlobalMemory::nearest(uintptr_t address) const {
  std::string text = "near no array of the launch";
  uintptr_t smallest = NEAR;
  for (const Array& array : arrays_) {
    const Buffer& buffer = array.buffer;
    const uintptr_t end = buffer.address + buffer.bytes;
    const bool is_past = address >= end, is_before = address < buffer.address;
    if (!is_past && !is_before) return format("between the rows of '%s'", buffer.name);
    const uintptr_t distance = is_past ? address - end : buffer.address - address;
    if (distance >= smallest) continue;
    smallest = distance;
    text = format("%zu bytes %s '%s'", static_cast<size_t>(distance), is_past ? "past the end of" : "before",
                  buffer.name);
  }
  return text;
}

}  // namespace emulator
