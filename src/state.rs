//! Where we are: the only transition table.
