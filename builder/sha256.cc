#include "builder/sha256.h"

#include <algorithm>
#include <bit>
#include <cstddef>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace vrun::builder {
namespace {

using State = std::array<std::uint32_t, 8>;
constexpr std::size_t kBlock = 64;

/// Fractional parts of the square roots of the first eight primes.
constexpr State kInitial{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

/// Fractional parts of the cube roots of the first sixty-four primes.
alignas(16) constexpr std::array<std::uint32_t, 64> kRounds{
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

void compress_portable(State& state, const char* data, std::size_t blocks) {
  for (; blocks > 0; --blocks, data += kBlock) {
    std::array<std::uint32_t, 64> w{};
    for (std::size_t i = 0; i < 16; ++i) {
      const auto byte = [&](std::size_t at) { return std::uint32_t{static_cast<unsigned char>(data[4 * i + at])}; };
      w[i] = byte(0) << 24U | byte(1) << 16U | byte(2) << 8U | byte(3);
    }
    for (std::size_t i = 16; i < 64; ++i) {
      const std::uint32_t s0 = std::rotr(w[i - 15], 7) ^ std::rotr(w[i - 15], 18) ^ (w[i - 15] >> 3U);
      const std::uint32_t s1 = std::rotr(w[i - 2], 17) ^ std::rotr(w[i - 2], 19) ^ (w[i - 2] >> 10U);
      w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    auto [a, b, c, d, e, f, g, h] = state;
    for (std::size_t i = 0; i < 64; ++i) {
      const std::uint32_t s1 = std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25);
      const std::uint32_t t1 = h + s1 + ((e & f) ^ (~e & g)) + kRounds[i] + w[i];
      const std::uint32_t s0 = std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22);
      const std::uint32_t t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
      h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
    }
    const State sum{a, b, c, d, e, f, g, h};
    for (std::size_t i = 0; i < 8; ++i) state[i] += sum[i];
  }
}

#if defined(__x86_64__)
bool has_sha_instructions() {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  // CPUID: leaf 1 ECX bits 9 (SSSE3) and 19 (SSE4.1); leaf 7 EBX bit 29 (SHA).
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & (1U << 9U)) == 0 || (c & (1U << 19U)) == 0) return false;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & (1U << 29U)) != 0;
}

/// Intel's instructions keep the state as the vectors (A B E F) and (C D G H), most significant word first, and do two
/// rounds at a time; four message words are in one vector.
__attribute__((target("sha,sse4.1,ssse3"))) void compress_sha(State& state, const char* data, std::size_t blocks) {
  const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  __m128i abef = _mm_set_epi32(static_cast<int>(state[0]), static_cast<int>(state[1]), static_cast<int>(state[4]),
                               static_cast<int>(state[5]));
  __m128i cdgh = _mm_set_epi32(static_cast<int>(state[2]), static_cast<int>(state[3]), static_cast<int>(state[6]),
                               static_cast<int>(state[7]));
  for (; blocks > 0; --blocks, data += kBlock) {
    const __m128i abef_before = abef;
    const __m128i cdgh_before = cdgh;
    __m128i w[4];
    for (int i = 0; i < 4; ++i)
      w[i] = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(data + 16 * i)), swap);
    for (int i = 0; i < 16; ++i) {
      if (i >= 4) {
        // W[t] = s1(W[t-2]) + W[t-7] + s0(W[t-15]) + W[t-16], four at a time.
        const __m128i sevens = _mm_alignr_epi8(w[(i + 3) % 4], w[(i + 2) % 4], 4);
        const __m128i partial = _mm_add_epi32(_mm_sha256msg1_epu32(w[i % 4], w[(i + 1) % 4]), sevens);
        w[i % 4] = _mm_sha256msg2_epu32(partial, w[(i + 3) % 4]);
      }
      const __m128i rounds = _mm_load_si128(reinterpret_cast<const __m128i*>(kRounds.data() + 4 * i));
      const __m128i sum = _mm_add_epi32(w[i % 4], rounds);
      cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
      abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0E));
    }
    abef = _mm_add_epi32(abef, abef_before);
    cdgh = _mm_add_epi32(cdgh, cdgh_before);
  }
  alignas(16) std::array<std::uint32_t, 4> first{};
  alignas(16) std::array<std::uint32_t, 4> second{};
  _mm_store_si128(reinterpret_cast<__m128i*>(first.data()), abef);
  _mm_store_si128(reinterpret_cast<__m128i*>(second.data()), cdgh);
  state = {first[3], first[2], second[3], second[2], first[1], first[0], second[1], second[0]};
}
#endif

/// `left` bytes at `rest` are what is left of `size` after whole blocks.
template <typename Compress>
Sha256 finish_digest(State state, const char* rest, std::size_t left, std::uint64_t size, Compress compress) {
  // The end: a one bit, zeros, and the length in bits as 64 bits, in one or two blocks.
  std::array<char, 2 * kBlock> tail{};
  std::copy_n(rest, left, tail.begin());
  tail[left] = '\x80';
  const std::size_t blocks = left + 9 > kBlock ? 2 : 1;
  const std::uint64_t bits = size * 8;
  for (std::size_t i = 0; i < 8; ++i) tail[blocks * kBlock - 1 - i] = static_cast<char>(bits >> (8 * i));
  compress(state, tail.data(), blocks);
  Sha256 out{};
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::uint8_t>(state[i / 4] >> (24 - 8 * (i % 4)));
  return out;
}

template <typename Compress>
Sha256 digest(std::string_view data, Compress compress) {
  State state = kInitial;
  const std::size_t whole = data.size() / kBlock;
  compress(state, data.data(), whole);
  return finish_digest(state, data.data() + whole * kBlock, data.size() % kBlock, data.size(), compress);
}

void compress_best(State& state, const char* data, std::size_t blocks) {
#if defined(__x86_64__)
  static const bool available = has_sha_instructions();
  if (available) return compress_sha(state, data, blocks);
#endif
  compress_portable(state, data, blocks);
}

}  // namespace

Sha256 sha256_portable(std::string_view data) { return digest(data, compress_portable); }

Sha256 sha256(std::string_view data) { return digest(data, compress_best); }

Sha256Stream::Sha256Stream() : state_(kInitial) {}

void Sha256Stream::add(std::string_view data) {
  size_ += data.size();
  if (!rest_.empty()) {
    const std::size_t count = std::min(kBlock - rest_.size(), data.size());
    rest_ += data.substr(0, count);
    data.remove_prefix(count);
    if (rest_.size() < kBlock) return;
    compress_best(state_, rest_.data(), 1);
  }
  const std::size_t whole = data.size() / kBlock;
  compress_best(state_, data.data(), whole);
  rest_ = data.substr(whole * kBlock);
}

Sha256 Sha256Stream::finish() { return finish_digest(state_, rest_.data(), rest_.size(), size_, compress_best); }

std::string base64_url(const Sha256& digest) {
  constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string out;
  std::uint32_t bits = 0;
  unsigned count = 0;
  for (const std::uint8_t byte : digest) {
    bits = bits << 8U | byte;
    for (count += 8; count >= 6; count -= 6) out += alphabet[bits >> (count - 6) & 63U];
  }
  if (count > 0) out += alphabet[bits << (6 - count) & 63U];
  return out;
}

std::string record_hash(std::string_view data) { return "sha256=" + base64_url(sha256(data)); }

}  // namespace vrun::builder
