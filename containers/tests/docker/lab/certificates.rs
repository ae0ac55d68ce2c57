//! The certificates of the lab, made by OpenSSL.

use std::fs;
use std::path::Path;

use super::{HOSTS, ROUTER, run, words};

/// Makes an authority, a certificate for each host, and one for the client; and a client of another authority.
pub(crate) fn make_certificates(path: &Path) {
    let make = |authority: &str, directory: &str, name: &str, extensions: &str| {
        let days = if directory.starts_with("expired") {
            0
        } else {
            2
        };
        let directory = path.join(directory);
        fs::create_dir_all(&directory).unwrap();
        let file = |name: &str| directory.join(name).to_str().unwrap().to_owned();
        let own = |name: &str| {
            path.join(format!("{authority}{name}"))
                .to_str()
                .unwrap()
                .to_owned()
        };
        if !path.join(format!("{authority}.pem")).exists() {
            let line = format!(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={authority} -days 2 -keyout {} \
                 -out {}",
                own(".key"),
                own(".pem")
            );
            run("openssl", &words(&line));
        }
        let line = format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={name} -keyout {} -out {}",
            file("key.pem"),
            file("request.pem")
        );
        run("openssl", &words(&line));
        fs::write(file("extensions"), extensions).unwrap();
        let line = format!(
            "x509 -req -in {} -CA {} -CAkey {} -CAcreateserial -days {days} -extfile {} -out {}",
            file("request.pem"),
            own(".pem"),
            own(".key"),
            file("extensions"),
            file("cert.pem")
        );
        run("openssl", &words(&line));
        fs::copy(own(".pem"), file("ca.pem")).unwrap();
    };
    for (host, address) in HOSTS {
        let extensions =
            format!("subjectAltName=IP:{address},DNS:{host}\nextendedKeyUsage=serverAuth\n");
        make("authority", host, host, &extensions);
    }
    let extensions = format!("subjectAltName=IP:{ROUTER}\nextendedKeyUsage=serverAuth\n");
    for name in ["server", "renewed", "expired-server"] {
        make("authority", name, "server", &extensions);
    }
    for name in ["client", "expired"] {
        make("authority", name, "client", "extendedKeyUsage=clientAuth\n");
    }
    make(
        "foreign",
        "stranger",
        "stranger",
        "extendedKeyUsage=clientAuth\n",
    );
    fs::copy(path.join("authority.pem"), path.join("stranger/ca.pem")).unwrap();
}
