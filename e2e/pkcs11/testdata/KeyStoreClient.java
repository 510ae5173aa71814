import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.Provider;
import java.security.Security;
import java.security.Signature;
import java.security.cert.Certificate;
import java.security.spec.MGF1ParameterSpec;
import java.security.spec.PSSParameterSpec;
import java.util.Collections;
import javax.crypto.Cipher;

/** Lists the key store of a PKCS #11 module, signs and decrypts with its keys. */
public final class KeyStoreClient {
    private static final byte[] MESSAGE = "to be signed".getBytes(StandardCharsets.UTF_8);

    public static void main(String[] args) throws Exception {
        Provider token = Security.getProvider("SunPKCS11").configure(args[0]);
        KeyStore store = KeyStore.getInstance("PKCS11", token);
        store.load(null, Files.readString(Path.of(args[1])).trim().toCharArray());
        for (String alias : Collections.list(store.aliases())) {
            System.out.println("entry " + alias + ", a key: " + store.isKeyEntry(alias));
            PrivateKey key = (PrivateKey) store.getKey(alias, null);
            Certificate certificate = store.getCertificate(alias);
            for (String algorithm : new String[] {"SHA1withRSA", "SHA256withRSA", "SHA384withRSA", "SHA512withRSA", "RSASSA-PSS"}) {
                Signature signer = Signature.getInstance(algorithm, token);
                Signature verifier = Signature.getInstance(algorithm);
                if (algorithm.equals("RSASSA-PSS")) {
                    PSSParameterSpec pss = new PSSParameterSpec("SHA-256", "MGF1", MGF1ParameterSpec.SHA256, 32, 1);
                    signer.setParameter(pss);
                    verifier.setParameter(pss);
                }
                signer.initSign(key);
                signer.update(MESSAGE);
                byte[] signature = signer.sign();
                verifier.initVerify(certificate);
                verifier.update(MESSAGE);
                System.out.println(algorithm + ": verified " + verifier.verify(signature));
            }
            Cipher encrypt = Cipher.getInstance("RSA/ECB/PKCS1Padding");
            encrypt.init(Cipher.ENCRYPT_MODE, certificate);
            Cipher decrypt = Cipher.getInstance("RSA/ECB/PKCS1Padding", token);
            decrypt.init(Cipher.DECRYPT_MODE, key);
            byte[] clear = decrypt.doFinal(encrypt.doFinal("for the token alone".getBytes(StandardCharsets.UTF_8)));
            System.out.println("decrypted: " + new String(clear, StandardCharsets.UTF_8));
        }
    }
}
