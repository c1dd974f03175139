// SharedMap: a sorted map whose copies cost nothing and share what they have in common.
//
// A World of 100,000 entries is copied for each change of one. Here the entries lie in chunks of a
// few dozen, a table holds the chunks, and a copy holds the same table: changing a copy makes a
// table and a chunk of its own and leaves the rest shared. So two maps that came of each other are
// compared, and their differences listed, in time that follows the differences and the number of
// chunks, not of entries.
//
// Reads as std::map does, in order of the key. Writing invalidates iterators and references into
// this map, not into copies of it. A value is constant as long as a map that shares its chunk
// lives; a copy may be read on any thread, as shared_ptr's pointee may.
#ifndef WEFT_CONTROLPLANE_MODEL_SHARED_MAP_H_
#define WEFT_CONTROLPLANE_MODEL_SHARED_MAP_H_

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

namespace weft {

template <typename Key, typename Value>
class SharedMap {
  // What a change copies, beside the table of chunks: small, but large enough for few chunks.
  static constexpr size_t kMostInChunk = 48;

  using Entry = std::pair<Key, Value>;
  using Chunk = std::vector<Entry>;  // sorted, never empty
  struct Table {
    std::vector<std::shared_ptr<Chunk>> chunks;
    size_t size = 0;
  };
  struct Place {
    size_t chunk = 0;
    size_t entry = 0;
    friend bool operator==(const Place&, const Place&) = default;
  };

 public:
  using key_type = Key;
  using mapped_type = Value;
  using value_type = Entry;

  class const_iterator {
   public:
    using iterator_category = std::bidirectional_iterator_tag;
    using value_type = Entry;
    using difference_type = std::ptrdiff_t;
    using pointer = const Entry*;
    using reference = const Entry&;

    const_iterator() = default;
    reference operator*() const { return (*table_->chunks[at_.chunk])[at_.entry]; }
    pointer operator->() const { return &**this; }
    const_iterator& operator++() {
      if (++at_.entry == table_->chunks[at_.chunk]->size()) at_ = {at_.chunk + 1, 0};
      return *this;
    }
    const_iterator& operator--() {
      if (at_.entry == 0) {
        --at_.chunk;
        at_.entry = table_->chunks[at_.chunk]->size();
      }
      --at_.entry;
      return *this;
    }
    const_iterator operator++(int) {
      const_iterator before = *this;
      ++*this;
      return before;
    }
    const_iterator operator--(int) {
      const_iterator before = *this;
      --*this;
      return before;
    }
    friend bool operator==(const const_iterator& a, const const_iterator& b) {
      return a.at_ == b.at_;
    }

   private:
    friend class SharedMap;
    const_iterator(const Table* table, Place at) : table_(table), at_(at) {}
    const Table* table_ = nullptr;
    Place at_;
  };
  using iterator = const_iterator;

  SharedMap() = default;
  SharedMap(std::initializer_list<Entry> entries) { insert(entries.begin(), entries.end()); }

  const_iterator begin() const { return {table_.get(), {0, 0}}; }
  const_iterator end() const { return {table_.get(), {chunks().size(), 0}}; }
  size_t size() const { return table_ == nullptr ? 0 : table_->size; }
  bool empty() const { return size() == 0; }

  const_iterator find(const Key& key) const {
    const Place at = LowerBound(key);
    return IsAt(at, key) ? const_iterator(table_.get(), at) : end();
  }
  const_iterator lower_bound(const Key& key) const { return {table_.get(), LowerBound(key)}; }
  bool contains(const Key& key) const { return IsAt(LowerBound(key), key); }
  size_t count(const Key& key) const { return contains(key) ? 1 : 0; }
  const Value& at(const Key& key) const {
    const const_iterator found = find(key);
    if (found == end()) throw std::out_of_range("SharedMap::at");
    return found->second;
  }

  // The value of the key, made if there is none; owned by this map alone.
  Value& operator[](const Key& key) { return Slot(key); }

  template <typename V>
  void insert_or_assign(const Key& key, V&& value) {
    Slot(key) = std::forward<V>(value);
  }
  // These leave a key that is there as it is.
  template <typename V>
  bool emplace(const Key& key, V&& value) {
    if (contains(key)) return false;
    Slot(key) = std::forward<V>(value);
    return true;
  }
  bool insert(const Entry& entry) { return emplace(entry.first, entry.second); }
  template <typename Iterator>
  void insert(Iterator first, Iterator last) {
    for (; first != last; ++first) emplace(first->first, first->second);
  }

  size_t erase(const Key& key) {
    const Place at = LowerBound(key);
    if (!IsAt(at, key)) return 0;
    Table& table = Own();
    Chunk& chunk = Own(table.chunks[at.chunk]);
    chunk.erase(chunk.begin() + static_cast<std::ptrdiff_t>(at.entry));
    --table.size;
    if (chunk.empty()) {
      table.chunks.erase(table.chunks.begin() + static_cast<std::ptrdiff_t>(at.chunk));
    } else {
      MergeWithNext(table, at.chunk);
    }
    return 1;
  }
  void clear() { table_.reset(); }

  // Whether this map and `other` hold the very same entries, at the same addresses.
  bool SharesAllWith(const SharedMap& other) const {
    return table_ == other.table_ || (size() == other.size() && chunks() == other.chunks());
  }

  // Calls visit(key, before, after) for each key that is not in both with equal values, in order;
  // null stands for absent. What is shared is passed over without a look.
  template <typename Visit>
  static void Diff(const SharedMap& before, const SharedMap& after, Visit visit) {
    constexpr const Value* kAbsent = nullptr;
    if (before.table_ == after.table_) return;
    Cursor a{before.chunks(), {}};
    Cursor b{after.chunks(), {}};
    while (true) {
      while (!a.done() && !b.done() && a.at_start() && b.at_start() && a.chunk() == b.chunk()) {
        a.SkipChunk();
        b.SkipChunk();
      }
      if (a.done() && b.done()) return;
      if (b.done() || (!a.done() && a.entry().first < b.entry().first)) {
        visit(a.entry().first, &a.entry().second, kAbsent);
        a.Next();
      } else if (a.done() || b.entry().first < a.entry().first) {
        visit(b.entry().first, kAbsent, &b.entry().second);
        b.Next();
      } else {
        if (!(a.entry().second == b.entry().second)) {
          visit(a.entry().first, &a.entry().second, &b.entry().second);
        }
        a.Next();
        b.Next();
      }
    }
  }

  friend bool operator==(const SharedMap& a, const SharedMap& b) {
    if (a.size() != b.size()) return false;
    bool same = true;
    Diff(a, b, [&](const Key&, const Value*, const Value*) { same = false; });
    return same;
  }

 private:
  using Chunks = std::vector<std::shared_ptr<Chunk>>;

  struct Cursor {
    const Chunks& chunks;
    Place at;

    bool done() const { return at.chunk == chunks.size(); }
    bool at_start() const { return at.entry == 0; }
    const std::shared_ptr<Chunk>& chunk() const { return chunks[at.chunk]; }
    const Entry& entry() const { return (*chunks[at.chunk])[at.entry]; }
    void SkipChunk() { at = {at.chunk + 1, 0}; }
    void Next() {
      if (++at.entry == chunk()->size()) SkipChunk();
    }
  };

  const Chunks& chunks() const {
    static const Chunks kNone;
    return table_ == nullptr ? kNone : table_->chunks;
  }

  // The first entry that is not less than the key; the end if there is none.
  Place LowerBound(const Key& key) const {
    const Chunks& all = chunks();
    const auto chunk = std::partition_point(all.begin(), all.end(),
                                            [&](const auto& c) { return c->back().first < key; });
    if (chunk == all.end()) return {all.size(), 0};
    const auto entry = std::partition_point((*chunk)->begin(), (*chunk)->end(),
                                            [&](const Entry& e) { return e.first < key; });
    return {static_cast<size_t>(chunk - all.begin()),
            static_cast<size_t>(entry - (*chunk)->begin())};
  }
  bool IsAt(Place at, const Key& key) const {
    return at.chunk < chunks().size() && !(key < (*chunks()[at.chunk])[at.entry].first);
  }

  // `pointer`, copied first if others hold it too. Who let go of it last is done with it: hence the
  // fence, since use_count() alone orders nothing.
  template <typename T>
  static T& Own(std::shared_ptr<T>& pointer) {
    if (pointer.use_count() > 1) pointer = std::make_shared<T>(*pointer);
    std::atomic_thread_fence(std::memory_order_acquire);
    return *pointer;
  }
  Table& Own() {
    if (table_ == nullptr) table_ = std::make_shared<Table>();
    return Own(table_);
  }

  Value& Slot(const Key& key) {
    Place at = LowerBound(key);
    Table& table = Own();
    if (IsAt(at, key)) return Own(table.chunks[at.chunk])[at.entry].second;
    at = MakeRoom(table, at);
    Chunk& chunk = Own(table.chunks[at.chunk]);
    const auto made = chunk.emplace(chunk.begin() + static_cast<std::ptrdiff_t>(at.entry),
                                    std::piecewise_construct, std::forward_as_tuple(key),
                                    std::forward_as_tuple());
    ++table.size;
    return made->second;
  }

  // So that a map that shrank does not keep a chunk for each entry that is left.
  static void MergeWithNext(Table& table, size_t index) {
    if (index + 1 == table.chunks.size()) return;
    const std::shared_ptr<Chunk> next = table.chunks[index + 1];
    if (table.chunks[index]->size() + next->size() > kMostInChunk / 2) return;
    Chunk& chunk = Own(table.chunks[index]);
    chunk.insert(chunk.end(), next->begin(), next->end());
    table.chunks.erase(table.chunks.begin() + static_cast<std::ptrdiff_t>(index) + 1);
  }

  // Where an entry that belongs before `at` goes. A full chunk is cut in halves, but what comes in
  // order at the end, as when a map is built, starts a chunk and leaves the last one full.
  static Place MakeRoom(Table& table, Place at) {
    const auto start = [&](size_t index, Chunk entries) {
      entries.reserve(kMostInChunk);
      table.chunks.insert(table.chunks.begin() + static_cast<std::ptrdiff_t>(index),
                          std::make_shared<Chunk>(std::move(entries)));
    };
    if (at.chunk == table.chunks.size()) {
      if (table.chunks.empty() || table.chunks.back()->size() == kMostInChunk) {
        start(at.chunk, {});
        return at;
      }
      return {at.chunk - 1, table.chunks.back()->size()};
    }
    if (table.chunks[at.chunk]->size() < kMostInChunk) return at;
    Chunk& full = Own(table.chunks[at.chunk]);
    const auto middle = full.begin() + kMostInChunk / 2;
    Chunk upper(std::make_move_iterator(middle), std::make_move_iterator(full.end()));
    full.erase(middle, full.end());
    start(at.chunk + 1, std::move(upper));
    if (at.entry <= kMostInChunk / 2) return at;
    return {at.chunk + 1, at.entry - kMostInChunk / 2};
  }

  std::shared_ptr<Table> table_;  // null: empty
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_MODEL_SHARED_MAP_H_
