// Scale: what one change costs, and what it costs to know, where very many clusters export very
// many services to each other. Measured on one of them: all others are like it.
#ifndef WEFT_TEST_SIMULATION_SCALE_H_
#define WEFT_TEST_SIMULATION_SCALE_H_

namespace weft::simulation {

// To stdout, a figure a line. 0 if the receivers came to know what was said.
int PrintScale();

}  // namespace weft::simulation

#endif  // WEFT_TEST_SIMULATION_SCALE_H_
