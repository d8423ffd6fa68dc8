//! The media type of a file, from its name.

/// The value of `Content-Type` for a file of this name. Text is served as UTF-8.
pub fn of(path: &str) -> String {
    let guess = mime_guess::from_path(path).first_raw().unwrap_or("application/octet-stream");
    if guess.starts_with("text/") || guess == "application/javascript" {
        format!("{guess}; charset=utf-8")
    } else {
        guess.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn knows_what_a_site_is_made_of() {
        for (path, want) in [
            ("index.html", "text/html; charset=utf-8"),
            ("a/b.c/style.CSS", "text/css; charset=utf-8"),
            ("main.js", "text/javascript; charset=utf-8"),
            ("data.json", "application/json"),
            ("logo.svg", "image/svg+xml"),
            ("module.wasm", "application/wasm"),
            ("font.woff2", "font/woff2"),
            ("README", "application/octet-stream"),
            ("", "application/octet-stream"),
        ] {
            assert_eq!(of(path), want, "{path}");
        }
    }
}
