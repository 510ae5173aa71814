#!/usr/bin/env bash
# Makes demo.p12 and the certificates of the tests, with OpenSSL 3. Nothing of it
# is worth anything. Usage: ./make.sh, in this folder
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cat >"$work/ca.cnf" <<'END'
[req]
prompt = no
string_mask = utf8only
distinguished_name = dn
[dn]
C = KZ
CN = ҮЛГІ КУӘЛАНДЫРУШЫ ОРТАЛЫҚ (RSA)
[ext]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
END
# openssl ca takes the dates that openssl x509 -req does not.
cat >"$work/issue.cnf" <<'END'
[ca]
default_ca = ca
[ca]
database = index.txt
new_certs_dir = .
default_md = sha256
policy = any
unique_subject = no
preserve = yes
serial = serial
[any]
C = optional
O = optional
OU = optional
CN = supplied
SN = optional
GN = optional
serialNumber = optional
END
: >"$work/index.txt"

# issue NAME NOT_BEFORE NOT_AFTER SERIAL [OPTION...]: a certificate for the
# subject in NAME.cnf, by the authority unless an option says otherwise.
issue() {
	(
		cd "$work"
		echo "$4" >serial
		openssl req -new -utf8 -config "$1.cnf" -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.csr"
		openssl ca -batch -notext -utf8 -config issue.cnf -startdate "$2" -enddate "$3" -in "$1.csr" -out "$1.pem" \
			-keyfile "${5:-ca.key}" -extfile "$1.cnf" -extensions ext "${@:6}"
	)
}
issue ca 20240101000000Z 21231231235959Z 1000 ca.key -selfsign

cat >"$work/person.cnf" <<'END'
[req]
prompt = no
string_mask = utf8only
distinguished_name = dn
[dn]
C = KZ
CN = ҮЛГІЕВА ҮЛГІ
SN = ҮЛГІЕВА
GN = ҮЛГІҚЫЗЫ
serialNumber = IIN900101400009
[ext]
basicConstraints = CA:FALSE
keyUsage = digitalSignature,nonRepudiation
extendedKeyUsage = emailProtection,1.2.398.3.3.4.1.1
certificatePolicies = 1.2.398.3.3.2.3
END
issue person 20240101000000Z 21231231235959Z 1001 ca.key -cert ca.pem

cat >"$work/head.cnf" <<'END'
[req]
prompt = no
string_mask = utf8only
distinguished_name = dn
[dn]
C = KZ
O = "ТОО ""ПРИМЕР"""
OU = BIN010140000004
CN = ПРИМЕРОВ ПРИМЕР
SN = ПРИМЕРОВ
GN = ПРИМЕРОВИЧ
serialNumber = IIN800101300007
[ext]
basicConstraints = CA:FALSE
keyUsage = digitalSignature,keyEncipherment
extendedKeyUsage = clientAuth,1.2.398.3.3.4.1.2,1.2.398.3.3.4.1.2.1
certificatePolicies = 1.2.398.3.3.2.2
END
issue head 20240101000000Z 20250101000000Z 1002 ca.key -cert ca.pem

openssl pkcs12 -export -inkey "$work/person.key" -in "$work/person.pem" -certfile "$work/ca.pem" -passout pass:Qazaqstan2024 -out ../demo.p12
openssl x509 -in "$work/head.pem" -outform der -out head.cer
# A key that the software token "generates", and one of another length to import.
openssl genrsa -traditional -out generated.pem 2048
openssl genrsa -traditional -out generated4096.pem 4096
openssl genrsa -traditional -out small.pem 1024
