// Counts of memory traffic as Nsight Compute defines them, from addresses alone.
//   Shared memory has 32 banks of 4 bytes. A request takes as many wavefronts as the fullest bank has different words;
//   lanes that read one word share it. Accesses of 8 and 16 bytes are served in halves and quarters of a warp.
//   Global memory moves in sectors of 32 bytes.
#include "recorder.h"

#include <algorithm>
#include <array>

namespace emulator {

namespace {

constexpr uint32_t WORD_BYTES = 4;
constexpr int BANKS = 32;
constexpr uint32_t SECTOR_BYTES = 32;
constexpr uint32_t WAVEFRONT_BYTES = WORD_BYTES * BANKS;
constexpr uint8_t READ = 1, WRITTEN = 2;

template <class T>
size_t count_distinct(std::vector<T>& values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return values.size();
}

// Lanes that are served together.
int lanes_a_time(uint32_t bytes) {
  return std::clamp<int>(WAVEFRONT_BYTES / std::max(bytes, WORD_BYTES), 1, WARP_LANES);
}

void count_wavefronts(const Touch* first, const Touch* last, RecordedAccess& sum) {
  const int together = lanes_a_time(first->bytes);
  while (first < last) {
    const int part = first->thread % WARP_LANES / together;
    std::vector<uint64_t> words;
    for (; first < last && first->thread % WARP_LANES / together == part; ++first)
      for (uint64_t word = first->place / WORD_BYTES; word <= (first->place + first->bytes - 1) / WORD_BYTES; ++word)
        words.push_back(word);
    sum.ideal_wavefronts += (count_distinct(words) + BANKS - 1) / BANKS;
    std::array<uint64_t, BANKS> in_bank{};
    for (uint64_t word : words) ++in_bank[word % BANKS];
    sum.wavefronts += *std::max_element(in_bank.begin(), in_bank.end());
  }
}

void count_sectors(const Touch* first, const Touch* last, RecordedAccess& sum) {
  std::vector<uint64_t> sectors, bytes;
  for (; first < last; ++first)
    for (uint64_t byte = first->place; byte < first->place + first->bytes; ++byte) {
      bytes.push_back(byte);
      sectors.push_back(byte / SECTOR_BYTES);
    }
  sum.sectors += count_distinct(sectors);
  sum.ideal_sectors += (count_distinct(bytes) + SECTOR_BYTES - 1) / SECTOR_BYTES;
}

}  // namespace

Recording::Recording(const Buffer* buffers, uint64_t count) : launch_buffers_(buffers), buffers_(count) {
  for (uint64_t i = 0; i < count; ++i) touched_.emplace_back(buffers[i].bytes);
}

Recording::Instruction Recording::instruction_of(const Touch& touch) {
  return {touch.code_address, touch.where.file, touch.where.line, touch.buffer == Touch::SHARED, touch.write,
          touch.bytes};
}

void Recording::add(std::vector<Touch>& touches) {
  std::map<Instruction, std::map<uint16_t, uint32_t>> times;
  for (Touch& touch : touches) touch.time = times[instruction_of(touch)][touch.thread]++;
  const auto request_of = [](const Touch& touch) {
    return std::make_tuple(instruction_of(touch), touch.thread / WARP_LANES, touch.time);
  };
  std::sort(touches.begin(), touches.end(), [&](const Touch& a, const Touch& b) {
    const auto request_a = request_of(a), request_b = request_of(b);
    return request_a != request_b ? request_a < request_b : a.thread < b.thread;
  });
  std::lock_guard<std::mutex> lock(mutex_);
  const Touch* end = touches.data() + touches.size();
  for (const Touch* first = touches.data(); first < end;) {
    const Touch* last = first + 1;
    while (last < end && request_of(*last) == request_of(*first)) ++last;
    add_request(first, last);
    first = last;
  }
  touches.clear();
}

void Recording::add_request(const Touch* first, const Touch* last) {
  RecordedAccess& sum = by_instruction_[instruction_of(*first)];
  sum.code_address = first->code_address;
  sum.file = first->where.file;
  sum.line = static_cast<uint32_t>(first->where.line);
  sum.shared = first->buffer == Touch::SHARED;
  sum.write = first->write;
  sum.bytes = first->bytes;
  ++sum.requests;
  sum.lanes += static_cast<uint64_t>(last - first);
  if (sum.shared) return count_wavefronts(first, last, sum);
  const uint64_t sectors_before = sum.sectors;
  count_sectors(first, last, sum);
  RecordedBuffer& buffer = buffers_[first->buffer];
  (first->write ? buffer.sector_bytes_written : buffer.sector_bytes_read) +=
      (sum.sectors - sectors_before) * SECTOR_BYTES;
  for (; first < last; ++first) mark_bytes(*first);
}

void Recording::mark_bytes(const Touch& touch) {
  const uint64_t start = touch.place - launch_buffers_[touch.buffer].address;
  for (uint64_t i = start; i < start + touch.bytes; ++i) touched_[touch.buffer][i] |= touch.write ? WRITTEN : READ;
}

const std::vector<RecordedAccess>& Recording::accesses() {
  accesses_.clear();
  for (const auto& [instruction, sum] : by_instruction_) accesses_.push_back(sum);
  return accesses_;
}

const std::vector<RecordedBuffer>& Recording::buffers() {
  for (size_t i = 0; i < buffers_.size(); ++i) {
    buffers_[i].bytes_read = buffers_[i].bytes_written = 0;
    for (uint8_t touched : touched_[i]) {
      buffers_[i].bytes_read += (touched & READ) != 0;
      buffers_[i].bytes_written += (touched & WRITTEN) != 0;
    }
  }
  return buffers_;
}

}  // namespace emulator
