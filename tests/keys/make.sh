#!/usr/bin/env bash
# Makes the keys and certificates of the tests anew, in this folder. They open nothing outside of the tests.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

key() { openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key"; }

key authority
openssl req -x509 -new -key authority.key -days 36500 -subj "/CN=tokenturn test authority" -out authority.crt
for name in server client-one client-two; do
  key "$name"
  openssl req -new -key "$name.key" -subj "/CN=$name" -out "$name.csr"
  use="extendedKeyUsage=clientAuth"
  [ "$name" != server ] || use="extendedKeyUsage=serverAuth
subjectAltName=IP:127.0.0.1,DNS:localhost"
  openssl x509 -req -in "$name.csr" -CA authority.crt -CAkey authority.key -CAcreateserial -days 36500 \
    -extfile <(printf '%s\nbasicConstraints=critical,CA:FALSE\n' "$use") -out "$name.crt"
done
key self-signed
openssl req -x509 -new -key self-signed.key -days 36500 -subj "/CN=self-signed" -addext "subjectAltName=IP:127.0.0.1" -out self-signed.crt
rm -f ./*.csr ./*.srl authority.key

# Keys that sign assertions: every kind that is supported, and some that are not.
openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.pem
openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out p256.pem
openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out p384.pem
openssl genpkey -quiet -algorithm ED25519 -out ed25519.pem
openssl rsa -traditional -in rsa.pem -out rsa-pkcs1.pem
openssl ec -in p256.pem -out p256-sec1.pem
openssl pkcs8 -topk8 -in p256.pem -passout pass:test -out p256-encrypted.pem
for name in rsa p256 ed25519; do openssl pkey -in "$name.pem" -pubout -out "$name.pub"; done
