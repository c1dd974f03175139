// Interest: what a client wants of one resource type, and what it was sent of that. The part of a
// subscription that state-of-the-world and delta have in common. Pure.
//
// A proxy that wants everything, or every name there is, holds no list of its own: it shares the
// tables of the Resources it was sent, so that a connected proxy costs little whatever the size of
// the mesh, and what changed for it is found without a look at what did not.
#ifndef WEFT_CONTROLPLANE_ADS_INTEREST_H_
#define WEFT_CONTROLPLANE_ADS_INTEREST_H_

#include <memory>
#include <string>
#include <vector>

#include "controlplane/translate/resources.h"

namespace weft {

// A set of names, in order; the keys of a table of resources where these are the same.
class NameSet {
 public:
  bool Contains(const std::string& name) const;
  size_t size() const { return shared_ ? table_.size() : own_.size(); }
  bool empty() const { return size() == 0; }
  std::vector<std::string> ToVector() const;

  // False if it was there, or not there.
  bool Insert(const std::string& name);
  bool Erase(const std::string& name);
  void Set(std::vector<std::string> names);  // in any order
  // Whether the names are those of the table; if so, they are kept as that.
  bool Adopt(const EncodedResources& table);

 private:
  void Unshare();

  bool shared_ = false;
  EncodedResources table_;
  std::vector<std::string> own_;
};

using EncodedResource = std::shared_ptr<const std::string>;

class Interest {
 public:
  struct Difference {
    EncodedResources changed;       // new, or with other bytes
    std::vector<std::string> gone;  // was sent, and is no more
  };

  bool wildcard() const { return wildcard_; }
  const NameSet& names() const { return names_; }
  const EncodedResources& sent() const { return sent_; }
  bool Wants(const std::string& name) const { return wildcard_ || names_.Contains(name); }

  // The client has nothing of what is no longer wanted.
  void SetWildcard(bool wildcard);
  void SetNames(std::vector<std::string> names);
  // False if the name was there, or not there.
  bool AddName(const std::string& name);
  bool RemoveName(const std::string& name);

  // The client has forgotten, or will forget, what it has of the name; so it is sent again.
  void Forget(const std::string& name);
  void ForgetAll();
  // The client says that it has these, and no others.
  void Remember(EncodedResources held);

  // What brings the client from what it was sent to `current`; counts as sent.
  Difference Advance(const EncodedResources& current);

 private:
  void DropUnwanted();
  Difference AdvanceByName(const EncodedResources& current);

  bool wildcard_ = false;
  NameSet names_;
  EncodedResources sent_;
  // Nothing was said since Advance() saw `seen_`: there is nothing to do while that stays.
  bool settled_ = false;
  EncodedResources seen_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_ADS_INTEREST_H_
