package words

// helpTrace is the help of kaztoken trace.
var helpTrace = []helpEntry{
	{
		"Record what goes over USB, read and replay recordings",
		"USB арқылы өтетінді жазып алу, жазбаларды оқу және қайталау",
		"Записать обмен по USB, прочитать и повторить записи",
	},
	{
		"Record what a command of kaztoken and the token say to each other over USB, read such recordings and play them again. Wireshark opens them, too.",
		"kaztoken пәрмені мен токеннің USB арқылы алмасқанын жазып алады, ондай жазбаларды оқиды және қайталайды. Оларды Wireshark та ашады.",
		"Записать, чем команда kaztoken и токен обмениваются по USB, прочитать такие записи и повторить их. Их открывает и Wireshark.",
	},
	{
		"PINs, keys and what keys decrypt are not in a recording: it may be sent to whoever helps. Names, certificates and serial numbers are.",
		"Жазбада ПИН кодтар, кілттер және кілтпен ашылған деректер болмайды: оны көмектесетін адамға жіберуге болады. Аттар, сертификаттар мен сериялық нөмірлер болады.",
		"PIN-кодов, ключей и того, что ключи расшифровали, в записи нет: её можно послать тому, кто помогает. Имена, сертификаты и серийные номера в ней есть.",
	},
	{"Record what a command does over USB", "Пәрменнің USB арқылы не істейтінін жазып алу", "Записать, что команда делает по USB"},
	{
		"Run a command of kaztoken as ever, and record into FILE what it does over USB. The exit code is that of the command. FILE must not exist; only its owner may read it. It is of use up to the last packet, whatever ends the program.",
		"kaztoken пәрменін әдеттегідей орындап, оның USB арқылы не істейтінін FILE файлына жазады. Шығу коды — сол пәрменнің коды. FILE бұрын болмауы керек; оны тек иесі оқи алады. Бағдарлама қалай аяқталса да, файл соңғы пакетке дейін жарамды.",
		"Выполнить команду kaztoken как обычно и записать в FILE, что она делает по USB. Код завершения — код этой команды. Файла FILE быть не должно; читать его может только владелец. Он годится до последнего пакета, чем бы программа ни закончилась.",
	},
	{
		"The bodies of commands that carry a PIN or a key are masked, and so are the answers that bring what a key decrypted. --with-pins-and-keys-in-clear keeps them, if that is confirmed on a terminal.",
		"ПИН код немесе кілт бар пәрмендердің мазмұны жасырылады, кілт ашқан деректер келетін жауаптар да. Терминалда расталса, --with-pins-and-keys-in-clear оларды қалдырады.",
		"Содержимое команд с PIN-кодом или ключом скрывается, как и ответы с тем, что расшифровал ключ. --with-pins-and-keys-in-clear их оставляет, если подтвердить это на терминале.",
	},
	{
		"What a smart-card service does with the token is in no recording but that of the service: record serve, or stop it and record with --backend usb.",
		"Смарт-карта қызметінің токенмен не істейтіні тек сол қызметтің жазбасында болады: serve пәрменін жазып алыңыз, немесе қызметті тоқтатып, --backend usb арқылы жазыңыз.",
		"То, что делает с токеном служба смарт-карт, есть только в записи самой службы: записывайте serve или остановите службу и записывайте с --backend usb.",
	},
	{
		"keep PINs and keys; whoever gets the file can use the token",
		"ПИН кодтар мен кілттерді қалдыру; файлды алған адам токенді пайдалана алады",
		"оставить PIN-коды и ключи; получивший файл сможет пользоваться токеном",
	},
	{
		"Do again what was recorded, on a reader in software",
		"Жазылғанды бағдарламалық оқу құрылғысында қайталау", "Повторить записанное на программном считывателе",
	},
	{
		"Do again what was recorded: the driver sends the APDUs of FILE to a reader in software, which is described as the recorded one was and has a card that gives the recorded answers. Every message and request that crosses USB is compared with the recording, but for bytes that are masked, bSeq, and the time that a card asks for. No token is needed, and none is touched.",
		"Жазылғанды қайталайды: драйвер FILE файлындағы APDU пәрмендерін бағдарламалық оқу құрылғысына жібереді; оның сипаттамасы жазылғандікіндей, ал картасы жазылған жауаптарды береді. USB арқылы өтетін әр хабар мен сұрау жазбамен салыстырылады, жасырылған байттардан, bSeq мәнінен және карта сұрайтын уақыттан басқасы. Токен қажет емес, ешқайсысына тиіспейді.",
		"Повторить записанное: драйвер отправляет APDU из FILE программному считывателю, который описан как записанный и в котором карта, дающая записанные ответы. Каждое сообщение и запрос по USB сравнивается с записью, кроме скрытых байтов, bSeq и времени, которого просит карта. Токен не нужен, и никакой не затрагивается.",
	},
	{
		"A recording is replayed up to the first thing that a reader in software does not do: a transfer that fails, a command that the reader refuses. The exit code is 1 if there is a difference before that.",
		"Жазба бағдарламалық оқу құрылғысы жасамайтын алғашқы әрекетке дейін қайталанады: сәтсіз тасымал, оқу құрылғысы бас тартқан пәрмен. Оған дейін айырмашылық табылса, шығу коды 1 болады.",
		"Запись повторяется до первого, чего программный считыватель не делает: неудачной передачи, команды, от которой считыватель отказался. Если раньше этого есть различие, код завершения 1.",
	},
	{
		"--json prints an object with the key devices: device, sent, answered, requests (how many were compared), differences (packet, what, want, got; the first 20), left (how many were not replayed), why (they were not)",
		"--json болса, devices кілті бар нысан шығады: device, sent, answered, requests (нешеуі салыстырылды), differences (packet, what, want, got; алғашқы 20), left (нешеуі қайталанбады), why (неге қайталанбады)",
		"С --json выводится объект с ключом devices: device, sent, answered, requests (сколько сравнили), differences (packet, what, want, got; первые 20), left (сколько не повторено), why (почему не повторено)",
	},
	{"Put a recording into words", "Жазбаны сөзбен баяндау", "Пересказать запись словами"},
	{
		"Put a recording into words: messages of CCID, blocks of T=1, APDUs with the names of their commands and the meaning of their status words. It reads what kaztoken trace record and, of Linux' usbmon, Wireshark and tcpdump have recorded from the plugging-in of a reader on. What is secret is not shown, whether it is masked in the file or not: ** stands for it.",
		"Жазбаны сөзбен баяндайды: CCID хабарлары, T=1 блоктары, пәрмен аттары мен күй сөздерінің мағынасы көрсетілген APDU. Ол kaztoken trace record жазғанды, сондай-ақ Wireshark пен tcpdump Linux usbmon арқылы оқу құрылғысы қосылған сәттен бастап жазғанды оқиды. Құпия нәрсе файлда жасырылса да, жасырылмаса да көрсетілмейді: орнына ** тұрады.",
		"Пересказать запись словами: сообщения CCID, блоки T=1, APDU с именами команд и значением слов состояния. Читает то, что записал kaztoken trace record, а также то, что Wireshark и tcpdump записали через usbmon в Linux с подключения считывателя. Секретное не показывается, скрыто оно в файле или нет: вместо него **.",
	},
	{
		`--json prints one object a line, with the keys
  packet (its number, as Wireshark has it), time, device (counts the devices of
  the file), kind (opened, sent, answered, request, interrupt, failed, junk),
  what (name of the message or request), slot, seq (or null), words, block (of
  T=1), command: header, name, data, le (or null), answer: data, sw, words (or
  null), data (hexadecimal), hidden (bytes of it), lost (packets left out before)`,
		`--json болса, әр жолға бір нысан шығады, кілттері:
  packet (Wireshark көрсететін нөмірі), time, device (файлдағы құрылғының реті),
  kind (opened, sent, answered, request, interrupt, failed, junk),
  what (хабардың немесе сұраудың аты), slot, seq (немесе null), words, block
  (T=1 блогы), command: header, name, data, le (немесе null), answer: data, sw,
  words (немесе null), data (он алтылық), hidden (жасырылған байттар саны),
  lost (бұған дейін қалып қойған пакеттер)`,
		`С --json выводится по объекту на строку с ключами
  packet (номер, как в Wireshark), time, device (номер устройства в файле), kind
  (opened, sent, answered, request, interrupt, failed, junk),
  what (имя сообщения или запроса), slot, seq (или null), words, block (блок
  T=1), command: header, name, data, le (или null), answer: data, sw, words (или
  null), data (шестнадцатеричные), hidden (сколько байтов скрыто), lost (сколько
  пакетов перед ним пропущено)`,
	},
}
