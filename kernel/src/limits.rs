//! Every bound of the kernel, in one place.
