//! The whole system from the outside: the binary, as users and the official clients meet it.

mod adapted;
mod commands;
mod crowds;
mod dialects;
mod interop;
mod pages;
mod reports;
mod scaled;
mod support;
