//! How a run reads. Pure: it returns strings and must never know the engine or files.
