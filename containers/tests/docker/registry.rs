//! x
pub(crate) const SERVE: &str = "X";
pub(crate) fn serve(_: &std::path::Path) -> ! {
    std::process::exit(0)
}
