//! The route-expression language.
