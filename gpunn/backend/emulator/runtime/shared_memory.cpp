#include "shared_memory.h"

#include <cstdlib>
#include <cstring>
#include <new>

namespace emulator {

namespace {
constexpr size_t DYNAMIC_ALIGNMENT = 1024;  // more than any copy engine asks of shared memory
constexpr int POISON = 0xff;                // every float16, bfloat16, float and double of these bytes is NaN

bool same_warp(int a, int b) { return a / WARP_LANES == b / WARP_LANES; }
}  // namespace

SharedMemory::SharedMemory(const Library& library, size_t dynamic_bytes, bool check) : check_(check) {
  const size_t rounded = (dynamic_bytes / DYNAMIC_ALIGNMENT + 1) * DYNAMIC_ALIGNMENT;
  dynamic_.start = static_cast<unsigned char*>(std::aligned_alloc(DYNAMIC_ALIGNMENT, rounded));
  if (!dynamic_.start) throw std::bad_alloc();
  dynamic_.bytes = dynamic_bytes;
  variables_.start = library.shared_variables;
  variables_.bytes = library.shared_variables_bytes;
}

SharedMemory::~SharedMemory() { std::free(dynamic_.start); }

void SharedMemory::begin_block() {
  for (Region* region : {&dynamic_, &variables_}) {
    if (region->bytes) std::memset(region->start, POISON, region->bytes);
    if (check_) region->records.assign(region->bytes, ByteRecord{});
  }
}

bool SharedMemory::lies_in(const Region& region, uintptr_t address) {
  return address - reinterpret_cast<uintptr_t>(region.start) < region.bytes;
}

bool SharedMemory::unordered_write(const ByteRecord& record, const Access& access, const Phase& phase) {
  if (!record.written || record.write_phase != phase.block || record.writer == access.thread) return false;
  if (record.written_atomically && access.atomic) return false;
  return !same_warp(record.writer, access.thread) || record.write_warp_phase == phase.warp;
}

SharedMemory::Conflict SharedMemory::record_read(ByteRecord& record, const Access& access, const Phase& phase) {
  Conflict conflict;
  if (unordered_write(record, access, phase)) conflict = {"read after write", record.writer, record.write_origin};
  if (record.read_phase != phase.block) {
    record.read_by_other_lanes = record.read_by_other_warps = false;
  } else if (!same_warp(record.reader, access.thread)) {
    record.read_by_other_warps = true;
  } else if (record.read_warp_phase != phase.warp) {
    record.read_by_other_lanes = false;
  } else if (record.reader != access.thread) {
    record.read_by_other_lanes = true;
  }
  record.read_phase = phase.block;
  record.read_warp_phase = phase.warp;
  record.reader = static_cast<uint16_t>(access.thread);
  record.read_origin = access.origin();
  return conflict;
}

SharedMemory::Conflict SharedMemory::record_write(ByteRecord& record, const Access& access, const Phase& phase) {
  Conflict conflict;
  if (unordered_write(record, access, phase)) {
    conflict = {"write after write", record.writer, record.write_origin};
  } else if (record.read_phase == phase.block) {
    const bool by_other_warp = record.read_by_other_warps || !same_warp(record.reader, access.thread);
    const bool by_other_lane = record.read_warp_phase == phase.warp &&
                               (record.read_by_other_lanes || record.reader != access.thread);
    if (by_other_warp || by_other_lane) conflict = {"write after read", record.reader, record.read_origin};
  }
  record.write_phase = phase.block;
  record.write_warp_phase = phase.warp;
  record.writer = static_cast<uint16_t>(access.thread);
  record.write_origin = access.origin();
  record.written = true;
  record.written_atomically = access.atomic;
  record.copy_pending = access.asynchronous;
  return conflict;
}

void SharedMemory::report_pending(const ByteRecord& record, const Access& access, Findings& findings) {
  findings.add(format("%s of a copy that was not waited for", access.write ? "overwriting" : "read"), access.place(),
               format("thread %d started it at %s, thread %d is here, with no copy_async_wait between", record.writer,
                      record.write_origin.text().c_str(), access.thread));
}

void SharedMemory::finish_copy(const Access& copy, const Phase& phase) {
  Region& region = region_of(copy.address);
  ByteRecord* record = &region.records[copy.address - reinterpret_cast<uintptr_t>(region.start)];
  for (ByteRecord* end = record + copy.bytes; record < end; ++record) {
    // It may have landed at any time until now, so that only a barrier from now on orders it.
    record->write_phase = phase.block;
    record->write_warp_phase = phase.warp;
    record->copy_pending = false;
  }
}

bool SharedMemory::check(const Access& access, const Phase& phase, Findings& findings) {
  Region& region = region_of(access.address);
  const bool is_dynamic = &region == &dynamic_;
  const size_t offset = access.address - reinterpret_cast<uintptr_t>(region.start);
  if (offset + access.bytes > region.bytes) {
    findings.add(format("%s beyond the end of %s shared memory", access.verb(), is_dynamic ? "dynamic" : "static"),
                 access.place(),
                 format("%zu bytes at offset %zu of %zu, thread %d", access.bytes, offset, region.bytes,
                        access.thread));
    return false;
  }
  if (!access.aligned()) {
    findings.add(format("misaligned %s of shared memory", access.verb()), access.place(),
                 format("%zu bytes at offset %zu, thread %d", access.bytes, offset, access.thread));
    return false;
  }
  Conflict first;
  for (size_t i = 0; i < access.bytes; ++i) {
    ByteRecord& record = region.records[offset + i];
    if (!access.write && !record.written) {
      findings.add("read of shared memory that nobody wrote", access.place(),
                   format("offset %zu, thread %d", offset + i, access.thread));
      return true;
    }
    if (record.copy_pending) {
      report_pending(record, access, findings);
      return true;
    }
    const Conflict conflict =
        access.write ? record_write(record, access, phase) : record_read(record, access, phase);
    if (conflict.kind && !first.kind) first = conflict;
  }
  if (first.kind) {
    const bool one_warp = same_warp(first.other_thread, access.thread);
    findings.add(format("race in shared memory, %s", first.kind), access.place(),
                 format("thread %d at %s and thread %d here, %s, with no %s between", first.other_thread,
                        first.other_origin.text().c_str(), access.thread,
                        one_warp ? "both of one warp" : "of different warps",
                        one_warp ? "__syncwarp" : "__syncthreads"));
  }
  return true;
}

}  // namespace emulator
