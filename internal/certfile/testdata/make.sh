#!/bin/sh
# Makes the files of this folder anew, in the current one; see README.md.
# Needs openssl 3, keytool (Java 17), pk12util and certutil (NSS), and in
# BCPROV the path of Bouncy Castle's bcprov.jar.
set -eu
pass=kaztoken
days=36500

openssl ecparam -name prime256v1 -genkey -noout -out root.key
openssl req -x509 -new -key root.key -subj "/C=KZ/CN=Test root" -days $days -out root.pem
openssl ecparam -name prime256v1 -genkey -noout -out sub.key
printf 'basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n' >sub.ext
openssl req -new -key sub.key -subj "/C=KZ/CN=Test authority" |
	openssl x509 -req -CA root.pem -CAkey root.key -days $days -extfile sub.ext -out sub.pem
openssl genrsa -out leaf.key 2048
printf 'basicConstraints=CA:FALSE\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n' >leaf.ext
openssl req -new -key leaf.key -subj "/C=KZ/CN=Test person/serialNumber=IIN000000000000" |
	openssl x509 -req -CA sub.pem -CAkey sub.key -days $days -extfile leaf.ext -out leaf.pem
cat root.pem sub.pem >cas.pem
cat leaf.pem root.pem sub.pem >all.pem

p12() { # file, password, then options
	out=$1 word=$2
	shift 2
	openssl pkcs12 -export -inkey leaf.key -in leaf.pem -certfile cas.pem -passout "pass:$word" -out "$out" "$@"
}
p12 openssl-modern.p12 $pass
p12 openssl-legacy.p12 $pass -legacy
p12 openssl-rc2-128.p12 $pass -legacy -certpbe PBE-SHA1-RC2-128 -keypbe PBE-SHA1-2DES -macalg sha512
p12 openssl-sha384.p12 $pass -certpbe AES-128-CBC -keypbe AES-192-CBC -macalg sha384 -iter 10000
p12 openssl-cyrillic.p12 "пароль" -legacy
p12 openssl-empty.p12 ""
p12 openssl-nomac.p12 $pass -nomac
p12 openssl-plain.p12 "" -keypbe NONE -certpbe NONE -nomac
p12 openssl-nokeys.p12 $pass -nokeys
p12 openssl-rc4.p12 $pass -legacy -certpbe PBE-SHA1-RC4-128

keytool -importkeystore -noprompt -srckeystore openssl-modern.p12 -srcstoretype PKCS12 -srcstorepass $pass \
	-destkeystore java.p12 -deststoretype PKCS12 -deststorepass $pass
keytool -importkeystore -noprompt -srckeystore openssl-modern.p12 -srcstoretype PKCS12 -srcstorepass $pass \
	-destkeystore bouncycastle.p12 -deststoretype PKCS12 -deststorepass $pass -destprovidername BC \
	-providerpath "$BCPROV" -providerclass org.bouncycastle.jce.provider.BouncyCastleProvider
keytool -importcert -noprompt -trustcacerts -file sub.pem -alias sub \
	-keystore java-trust.p12 -storetype PKCS12 -storepass $pass
mkdir nss
certutil -N -d sql:nss --empty-password
pk12util -i openssl-legacy.p12 -d sql:nss -W $pass
pk12util -o nss.p12 -d sql:nss -n "$(certutil -L -d sql:nss | sed -n 's/ *u,u,u *$//p')" -W $pass

openssl crl2pkcs7 -nocrl -certfile all.pem -outform DER -out certs.p7b
openssl crl2pkcs7 -nocrl -certfile all.pem -out certs.p7b.pem
openssl cms -sign -stream -indef -nodetach -in root.pem -signer leaf.pem -inkey leaf.key -certfile cas.pem -outform DER -out signed.ber
openssl pkcs12 -in openssl-modern.p12 -passin pass:$pass -nodes -out bags.pem
openssl x509 -in leaf.pem -trustout -addtrust clientAuth -out trusted.pem
openssl pkcs8 -topk8 -in leaf.key -passout pass:$pass -out pkcs8-pbes2.pem
openssl pkcs8 -topk8 -in leaf.key -passout pass:$pass -v2 des3 -v2prf hmacWithSHA1 -outform DER -out pkcs8-des3.der
openssl pkcs8 -topk8 -in leaf.key -passout pass:$pass -v1 PBE-SHA1-3DES -out pkcs8-pbes1.pem
openssl pkcs8 -topk8 -in leaf.key -passout pass:$pass -scrypt -out pkcs8-scrypt.pem
openssl rsa -in leaf.key -aes128 -traditional -passout pass:$pass -out traditional.pem
rm -rf nss root.key sub.key sub.ext leaf.ext cas.pem
