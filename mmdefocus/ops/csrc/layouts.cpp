// What this compiler makes of the structures that ../compiled/structs.py mirrors. `layout_of_X`
// writes the size of X and then the offset of each of its fields; it returns how many numbers.

#include <cstddef>
#include <initializer_list>

#include "rows.h"
#include "scan_layout.h"

namespace {

int report(int64_t* to, std::initializer_list<size_t> numbers) {
    std::copy(numbers.begin(), numbers.end(), to);
    return int(numbers.size());
}

}  // namespace

extern "C" int layout_of_Tasks(int64_t* to) {
    return report(to, {sizeof(Tasks), offsetof(Tasks, batch), offsetof(Tasks, length),
                       offsetof(Tasks, channels), offsetof(Tasks, rows), offsetof(Tasks, threads)});
}

extern "C" int layout_of_Sizes(int64_t* to) {
    return report(to, {sizeof(Sizes), offsetof(Sizes, batch), offsetof(Sizes, channels),
                       offsetof(Sizes, length), offsetof(Sizes, state), offsetof(Sizes, chunk),
                       offsetof(Sizes, groups), offsetof(Sizes, norm), offsetof(Sizes, softplus),
                       offsetof(Sizes, threads)});
}

extern "C" int layout_of_StridedTensor(int64_t* to) {
    return report(to, {sizeof(StridedTensor), offsetof(StridedTensor, data),
                       offsetof(StridedTensor, batch), offsetof(StridedTensor, channel),
                       offsetof(StridedTensor, time), offsetof(StridedTensor, is_bfloat16)});
}
