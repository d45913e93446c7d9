//! Tells this crate which CPython it is built for, as pyo3 found it.

fn main() {
    pyo3_build_config::use_pyo3_cfgs();
}
