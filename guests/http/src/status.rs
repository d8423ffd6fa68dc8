//! Status codes (RFC 9110, section 15) as far as the servers here need them.

/// The status of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
#[allow(missing_docs, reason = "the names are the RFC's")]
pub enum Status {
    Continue = 100,
    Ok = 200,
    PartialContent = 206,
    MovedPermanently = 301,
    Found = 302,
    SeeOther = 303,
    NotModified = 304,
    TemporaryRedirect = 307,
    PermanentRedirect = 308,
    BadRequest = 400,
    Unauthorized = 401,
    Forbidden = 403,
    NotFound = 404,
    MethodNotAllowed = 405,
    NotAcceptable = 406,
    RequestTimeout = 408,
    LengthRequired = 411,
    PreconditionFailed = 412,
    ContentTooLarge = 413,
    UriTooLong = 414,
    UnsupportedMediaType = 415,
    RangeNotSatisfiable = 416,
    ExpectationFailed = 417,
    MisdirectedRequest = 421,
    TooManyRequests = 429,
    HeaderFieldsTooLarge = 431,
    InternalServerError = 500,
    NotImplemented = 501,
    ServiceUnavailable = 503,
    VersionNotSupported = 505,
}

impl Status {
    /// The number.
    pub fn code(self) -> u16 {
        self as u16
    }

    /// The status line, with its line end.
    pub fn line(self) -> &'static str {
        match self {
            Self::Continue => "HTTP/1.1 100 Continue\r\n",
            Self::Ok => "HTTP/1.1 200 OK\r\n",
            Self::PartialContent => "HTTP/1.1 206 Partial Content\r\n",
            Self::MovedPermanently => "HTTP/1.1 301 Moved Permanently\r\n",
            Self::Found => "HTTP/1.1 302 Found\r\n",
            Self::SeeOther => "HTTP/1.1 303 See Other\r\n",
            Self::NotModified => "HTTP/1.1 304 Not Modified\r\n",
            Self::TemporaryRedirect => "HTTP/1.1 307 Temporary Redirect\r\n",
            Self::PermanentRedirect => "HTTP/1.1 308 Permanent Redirect\r\n",
            Self::BadRequest => "HTTP/1.1 400 Bad Request\r\n",
            Self::Unauthorized => "HTTP/1.1 401 Unauthorized\r\n",
            Self::Forbidden => "HTTP/1.1 403 Forbidden\r\n",
            Self::NotFound => "HTTP/1.1 404 Not Found\r\n",
            Self::MethodNotAllowed => "HTTP/1.1 405 Method Not Allowed\r\n",
            Self::NotAcceptable => "HTTP/1.1 406 Not Acceptable\r\n",
            Self::RequestTimeout => "HTTP/1.1 408 Request Timeout\r\n",
            Self::LengthRequired => "HTTP/1.1 411 Length Required\r\n",
            Self::PreconditionFailed => "HTTP/1.1 412 Precondition Failed\r\n",
            Self::ContentTooLarge => "HTTP/1.1 413 Content Too Large\r\n",
            Self::UriTooLong => "HTTP/1.1 414 URI Too Long\r\n",
            Self::UnsupportedMediaType => "HTTP/1.1 415 Unsupported Media Type\r\n",
            Self::RangeNotSatisfiable => "HTTP/1.1 416 Range Not Satisfiable\r\n",
            Self::ExpectationFailed => "HTTP/1.1 417 Expectation Failed\r\n",
            Self::MisdirectedRequest => "HTTP/1.1 421 Misdirected Request\r\n",
            Self::TooManyRequests => "HTTP/1.1 429 Too Many Requests\r\n",
            Self::HeaderFieldsTooLarge => "HTTP/1.1 431 Request Header Fields Too Large\r\n",
            Self::InternalServerError => "HTTP/1.1 500 Internal Server Error\r\n",
            Self::NotImplemented => "HTTP/1.1 501 Not Implemented\r\n",
            Self::ServiceUnavailable => "HTTP/1.1 503 Service Unavailable\r\n",
            Self::VersionNotSupported => "HTTP/1.1 505 HTTP Version Not Supported\r\n",
        }
    }

    /// The statuses with which a page of the site's own can go: those of requests that are whole
    /// and understood.
    pub const WITH_PAGE: [Self; 14] = [
        Self::BadRequest,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::NotAcceptable,
        Self::PreconditionFailed,
        Self::RangeNotSatisfiable,
        Self::ExpectationFailed,
        Self::MisdirectedRequest,
        Self::TooManyRequests,
        Self::InternalServerError,
        Self::NotImplemented,
        Self::ServiceUnavailable,
    ];

    /// The one of [`Status::WITH_PAGE`] that has this number.
    pub fn with_page(code: &str) -> Option<Self> {
        let number: u16 = code.parse().ok()?;
        Self::WITH_PAGE.into_iter().find(|status| status.code() == number)
    }

    /// The redirect (RFC 9110, section 15.4) that has this number.
    pub fn of_redirect(code: u16) -> Option<Self> {
        [
            Self::MovedPermanently,
            Self::Found,
            Self::SeeOther,
            Self::TemporaryRedirect,
            Self::PermanentRedirect,
        ]
        .into_iter()
        .find(|status| status.code() == code)
    }

    /// The number and its reason: `404 Not Found`.
    pub fn title(self) -> &'static str {
        self.line().trim_start_matches("HTTP/1.1 ").trim_end()
    }
}
