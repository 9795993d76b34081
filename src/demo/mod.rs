//! The embedded order service that `firedrill demo` drills: load balancer, two nodes that replicate and take over, a write ledger. Its
//! processes are the same binary under the hidden verb `__demo`. It must never know that it is being drilled.
