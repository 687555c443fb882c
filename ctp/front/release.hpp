// Which release of the CTP interface the program in this process was built for.
#pragma once

#include <string_view>

#include "facts.hpp"

namespace qautlra::ctp {

// The row of "v6.7.11_20250617 ..." or "6.7.11"; null when the table has no such release. A name must match
// whole: 6.7.1 is not 6.7.11, and 6.7.9_P1 is not 6.7.9.
const Release* release_named(std::string_view version);

// In order: QAUTLRA__CTP__ABI; the real library already in this process (as it is under LD_PRELOAD); a file
// beside this library, its name and ".abi"; the factory's signature. Never null; a wish for an unknown
// release is told on standard error and passed over.
const Release& caller_release(bool market, bool newer_factory);

}  // namespace qautlra::ctp
