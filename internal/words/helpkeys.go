package words

// helpKeys is the help of kaztoken key, sign, decrypt and random.
var helpKeys = []helpEntry{
	{
		"List, generate and delete key pairs, and request certificates",
		"Кілт жұптарын тізу, жасау, жою және сертификат сұрау",
		"Перечислить, создать и удалить ключевые пары, запросить сертификаты",
	},
	{
		"List, generate and delete key pairs, and request certificates for them.",
		"Кілт жұптарын тізеді, жасайды, жояды және оларға сертификат сұрайды.",
		"Перечислить, создать и удалить ключевые пары, запросить для них сертификаты.",
	},
	{
		"A key pair is named by its id or the beginning of it, its label or a part of it, or its number in the list. All but the list needs the user PIN: see kaztoken pin.",
		"Кілт жұбы ID арқылы немесе оның басымен, белгісімен немесе оның бөлігімен, не тізімдегі нөмірімен аталады. Тізімнен басқаның бәріне Пайдаланушының ПИН коды керек: kaztoken pin пәрменін қараңыз.",
		"Ключевую пару называют по ID или его началу, по метке или её части либо по номеру в списке. Для всего, кроме списка, нужен PIN-код Пользователя: см. kaztoken pin.",
	},
	{"Write a certificate request", "Сертификатқа сұрау жазу", "Записать запрос на сертификат"},
	{
		"Write a request for a certificate (PKCS #10, PEM), signed with a key on the token.",
		"Токендегі кілтпен қол қойылған сертификат сұрауын (PKCS #10, PEM) жазады.",
		"Записать запрос на сертификат (PKCS #10, PEM), подписанный ключом на токене.",
	},
	{
		`The subject is written as RFC 4514 says: attributes with commas between them, the most special first, as in CN=Name,O=Company,C=KZ. Known are CN, SN, GN, serialNumber, C, L, ST, STREET, O, OU, DC, UID, E, title and dotted identifiers; \ stands before , + " \ < > ; in a value.`,
		`Субъект RFC 4514 бойынша жазылады: атрибуттар үтірмен бөлінеді, ең нақтысы бірінші тұрады, мысалы CN=Аты,O=Компания,C=KZ. Белгілілері: CN, SN, GN, serialNumber, C, L, ST, STREET, O, OU, DC, UID, E, title және нүктелі идентификаторлар; мәндегі , + " \ < > ; алдына \ қойылады.`,
		`Субъект записывается по RFC 4514: атрибуты через запятую, самый частный первым, например CN=Имя,O=Компания,C=KZ. Известны CN, SN, GN, serialNumber, C, L, ST, STREET, O, OU, DC, UID, E, title и идентификаторы с точками; перед , + " \ < > ; в значении ставится \.`,
	},
	{"`HOST` as an alternative name; may be repeated", "`HOST` басқа ат ретінде; қайталауға болады", "`HOST` как другое имя; можно повторять"},
	{"`ADDRESS` as an alternative name; may be repeated", "`ADDRESS` басқа ат ретінде; қайталауға болады", "`ADDRESS` как другое имя; можно повторять"},
	{"`NAME` that the certificate is for", "сертификат кімге арналған, `NAME`", "для кого сертификат, `NAME`"},
	{"Delete key pairs", "Кілт жұптарын жою", "Удалить ключевые пары"},
	{
		"Delete key pairs. Their certificates stay; to delete both, delete the certificate. The command names the token and what goes, and asks.",
		"Кілт жұптарын жояды. Сертификаттары қалады; екеуін де жою үшін сертификатты жойыңыз. Пәрмен токенді және не жойылатынын атап, сұрайды.",
		"Удалить ключевые пары. Их сертификаты остаются; чтобы удалить и то, и другое, удалите сертификат. Команда называет токен и то, что будет удалено, и спрашивает.",
	},
	{"Generate an RSA key pair on the token", "Токенде RSA кілт жұбын жасау", "Создать на токене ключевую пару RSA"},
	{
		"Generate an RSA key pair on the token. The private key never leaves it. A large key may take the token a minute.",
		"Токенде RSA кілт жұбын жасайды. Жабық кілт одан ешқашан шықпайды. Үлкен кілтке токен бір минуттай жұмсауы мүмкін.",
		"Создать на токене ключевую пару RSA. Закрытый ключ никогда его не покидает. Длинный ключ токен может создавать около минуты.",
	},
	{"--json prints an object as in key list", "--json болса, key list пәрменіндегідей нысан шығады", "С --json выводится объект, как в key list"},
	{"`N` bits of the modulus", "модуль ұзындығы, `N` бит", "длина модуля, `N` бит"},
	{"id in `HEX` instead of the usual one, which is made of the key", "кілттен жасалатын әдеттегінің орнына `HEX` түріндегі ID", "ID в `HEX` вместо обычного, который получается из ключа"},
	{"`NAME` of the key pair", "кілт жұбының аты, `NAME`", "имя ключевой пары `NAME`"},
	{"List the key pairs on the token", "Токендегі кілт жұптарын тізу", "Перечислить ключевые пары на токене"},
	{"List the key pairs on the token. It needs no PIN.", "Токендегі кілт жұптарын тізеді. ПИН код қажет емес.", "Перечислить ключевые пары на токене. PIN-код не нужен."},
	{
		`--json prints an array of objects with the keys
  number, id, label, algorithm, bits, reference, usage, local (made on the
  token), certificates (how many are there for it)`,
		`--json болса, нысандар жиымы шығады, әрқайсысының кілттері:
  number, id, label, algorithm, bits, reference, usage, local (токенде
  жасалған), certificates (оның неше сертификаты бар)`,
		`С --json выводится массив объектов с ключами
  number, id, label, algorithm, bits, reference, usage, local (создана на
  токене), certificates (сколько для неё сертификатов)`,
	},

	{"Decrypt a message with a key on the token", "Хабар шифрын токендегі кілтпен ашу", "Расшифровать сообщение ключом на токене"},
	{
		"Decrypt a file, or standard input, that was encrypted for a key on the token: RSAES-PKCS1-v1_5, or with --oaep RSAES-OAEP (RFC 8017). The input is one block of the key's length.",
		"Токендегі кілтке арнап шифрланған файлдың немесе стандартты кірістің шифрын ашады: RSAES-PKCS1-v1_5, --oaep болса, RSAES-OAEP (RFC 8017). Кіріс — ұзындығы кілттікіндей бір блок.",
		"Расшифровать файл или стандартный ввод, зашифрованный для ключа на токене: RSAES-PKCS1-v1_5, а с --oaep RSAES-OAEP (RFC 8017). На входе один блок длиной с ключ.",
	},
	{
		"The key is named by its id or the beginning of it, its label or a part of it, or its number in the list of keys.",
		"Кілт ID арқылы немесе оның басымен, белгісімен немесе оның бөлігімен, не кілттер тізіміндегі нөмірімен аталады.",
		"Ключ называют по ID или его началу, по метке или её части либо по номеру в списке ключей.",
	},
	{
		"--json prints an object with the keys key (its id), scheme (pkcs1v15, oaep), data (Base64)",
		"--json болса, мына кілттері бар нысан шығады: key (оның ID), scheme (pkcs1v15, oaep), data (Base64)",
		"С --json выводится объект с ключами key (его ID), scheme (pkcs1v15, oaep), data (Base64)",
	},
	{"`KEY` to decrypt with", "шифрды ашатын кілт, `KEY`", "ключ для расшифрования `KEY`"},
	{"RSAES-OAEP with this `HASH`: {}", "RSAES-OAEP және мына `HASH`: {}", "RSAES-OAEP с хеш-функцией `HASH`: {}"},
	{"Print random bytes of the token", "Токеннің кездейсоқ байттарын шығару", "Вывести случайные байты токена"},
	{"Print random bytes that the token makes. It needs no PIN.", "Токен жасаған кездейсоқ байттарды шығарады. ПИН код қажет емес.", "Вывести случайные байты, которые создаёт токен. PIN-код не нужен."},
	{
		"--json prints an object with the keys count, bytes (hexadecimal)",
		"--json болса, мына кілттері бар нысан шығады: count, bytes (он алтылық)",
		"С --json выводится объект с ключами count, bytes (шестнадцатеричные)",
	},
	{"how many", "нешеу", "сколько"},
	{"Sign a file with a key on the token", "Файлға токендегі кілтпен қол қою", "Подписать файл ключом на токене"},
	{
		"Hash a file, or standard input, and sign the hash with a key on the token: RSASSA-PKCS1-v1_5, or with --pss RSASSA-PSS with a salt as long as the hash (RFC 8017). The result is the signature alone.",
		"Файлдың немесе стандартты кірістің хешін есептеп, оған токендегі кілтпен қол қояды: RSASSA-PKCS1-v1_5, --pss болса, тұзы хештей ұзын RSASSA-PSS (RFC 8017). Нәтиже — тек қолтаңба.",
		"Вычислить хеш файла или стандартного ввода и подписать его ключом на токене: RSASSA-PKCS1-v1_5, а с --pss RSASSA-PSS с солью длиной с хеш (RFC 8017). Результат — только подпись.",
	},
	{
		"--json prints an object with the keys key (its id), scheme (pkcs1v15, pss), hash, signature (Base64)",
		"--json болса, мына кілттері бар нысан шығады: key (оның ID), scheme (pkcs1v15, pss), hash, signature (Base64)",
		"С --json выводится объект с ключами key (его ID), scheme (pkcs1v15, pss), hash, signature (Base64)",
	},
	{"sha256, sha384, sha512, sha1", "sha256, sha384, sha512, sha1", "sha256, sha384, sha512, sha1"},
	{"`KEY` to sign with", "қол қоятын кілт, `KEY`", "ключ для подписи `KEY`"},
	{"RSASSA-PSS instead of RSASSA-PKCS1-v1_5", "RSASSA-PKCS1-v1_5 орнына RSASSA-PSS", "RSASSA-PSS вместо RSASSA-PKCS1-v1_5"},
}
