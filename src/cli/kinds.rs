//! stub
/// stub
pub fn list() -> String {
    String::new()
}
/// stub
pub fn one(_: &str) -> Option<String> {
    None
}
/// stub
pub fn nearest(_: &str) -> Option<String> {
    None
}
